"""Partners, consortia, labs and gaps: the commands that look for organisations, and what they hand out."""
