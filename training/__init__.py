"""How the shipped network came to be; nothing here is needed to run Framehaul."""
