"""Programs that measure: each prints ratios of things that it ran side by side."""
