"""Where the time between ``model.predict`` and TFLite goes: ``audiomon bench explain``."""
