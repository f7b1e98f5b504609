"""The main job in front of one's eyes: `python -m demo`. Exit status 0 only if
each step was seen to be true.
"""
