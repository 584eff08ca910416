"""How ``models/home`` was made: its data set and its sample recording."""
