"""What every process needs: settings, logs, metrics, health, clocks, loops."""
