"""The technical user of a Device's router: kept there, and used for daily work
once it works (rule B7).
"""
