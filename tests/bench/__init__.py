"""Hold the measuring programs to their arithmetic, never to a machine's speed."""
