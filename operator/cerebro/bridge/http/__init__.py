"""What stands between the socket and an endpoint: token, signature, rate, and
the shape of answers.
"""
