"""What can be done with a video: one folder a pipeline, found by name.

`spec.py` is light and runs on the laptop; `run.py` is heavy and runs in the agent's worker alone.
"""
