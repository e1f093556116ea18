"""Mail: who agreed to get what, what each was told, sent exactly once, and what readers answer."""
