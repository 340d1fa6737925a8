"""What is fitted on data."""
