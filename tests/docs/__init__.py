"""The pages of docs/ are promises: their names exist, their links lead somewhere, their examples run."""
