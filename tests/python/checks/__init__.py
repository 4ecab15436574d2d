"""What `run.py` runs. A check is a function named as a claim, and raises when it is false."""
