"""What is done when a label turns on or off. Notifications are sent from here; commands are run by units of their own.

This process runs no program: it sends the number of a rule and the facts of an event to a socket, and what is run is
what ``link.yaml`` says there.
"""
