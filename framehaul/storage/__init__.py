"""Where bytes lie: one file a store, found by the schemes that it speaks."""
