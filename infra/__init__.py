"""How the parts that Skin Screening stands on are started: on one machine (``local``) and in production."""
