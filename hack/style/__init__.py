"""Measures of code style that no linter has: branches, vague names, density,
folders and circles of imports.
"""
