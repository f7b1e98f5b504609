"""What Argo CD is told of our kinds: the verdict of each reason as data, and
what is made of it in `deploy/argocd` and `docs/argocd.md`.
"""
