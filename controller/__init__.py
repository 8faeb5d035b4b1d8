"""The laptop: plan, rent, ship, watch, verify, destroy."""
