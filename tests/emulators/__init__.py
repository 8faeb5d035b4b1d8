"""Other people's servers as programs on loopback. They import nothing of ours, and nothing of ours imports them."""
