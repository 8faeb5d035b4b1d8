"""What a person sees: progress, tables, the report."""
