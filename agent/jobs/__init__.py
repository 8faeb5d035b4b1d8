"""The job folder as objects: one per attempt, and the store that holds them."""
