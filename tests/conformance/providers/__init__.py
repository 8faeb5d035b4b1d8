"""One file a provider: how a test opens a cloud of its own. Found by the provider's name."""
