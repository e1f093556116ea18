"""The domain: what a call, a profile and a match are. Imports no other room and does no I/O."""

VERSION = "0.7.0"
