"""The words that controller and agent speak: no I/O, only shapes, names and legal moves."""
