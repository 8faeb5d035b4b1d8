"""The agent's face: routes, problems, and the gate that demands the token."""
