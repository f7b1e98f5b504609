"""The RouterOS API: connections, logins, sentences, replies."""
