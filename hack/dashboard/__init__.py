"""The dashboard for Grafana in `deploy/monitoring`: `panels.yaml` says what it
shows, `grafana` makes Grafana's JSON of it.
"""
