"""What single stores promise beyond the common suite."""
