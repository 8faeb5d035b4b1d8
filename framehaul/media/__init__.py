"""Frames in and out of video files: read a header, decode, compute, encode, and keep everything else as it was."""
