"""The agent, in this process with a clock that the test moves, and as a program that is killed for real."""
