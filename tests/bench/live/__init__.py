"""What listening on a microphone costs, beside its floor and the usual tutorial's loop."""
