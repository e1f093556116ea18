"""Text → vectors → neighbours, sparse and dense. Knows no calls and no profiles."""
