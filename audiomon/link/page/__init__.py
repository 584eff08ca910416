"""The page: what is heard now and was today, for a browser on this machine, and the metrics beside it.

One file of each kind from the wheel, and a stream of server-sent events. It shows no sound, keeps nothing on disk, and
changes nothing but whether actions are paused.
"""
