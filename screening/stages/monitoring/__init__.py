"""Watch over the nights: what changed, since when, and whether by more than chance. No night looks at a later one."""
