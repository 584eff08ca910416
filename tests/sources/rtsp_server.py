"""A camera: GStreamer's RTSP server with a test tone in several codecs. Run by the Python that has GStreamer:

/usr/bin/python3 tests/sources/rtsp_server.py PORT USER PASSWORD
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  # versions are chosen before it is imported

TONE = "audiotestsrc is-live=true freq=1000 volume=0.5 ! audio/x-raw,rate={},channels={}"
PICTURE = "videotestsrc is-live=true ! jpegenc ! rtpjpegpay name=pay{} pt=26"
STREAMS = {
    "pcma": f"{TONE.format(8000, 1)} ! alawenc ! rtppcmapay name=pay0 pt=8",
    "pcmu-and-picture": f"{PICTURE.format(0)} {TONE.format(8000, 1)} ! mulawenc ! rtppcmupay name=pay1 pt=0",
    "aac": f"{TONE.format(44_100, 2)} ! avenc_aac ! rtpmp4gpay name=pay0 pt=96",
    "opus": f"{TONE.format(48_000, 2)} ! opusenc ! rtpopuspay name=pay0 pt=96",
    "picture": PICTURE.format(0),
}


def main(port: str, user: str, password: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    for name, launch in STREAMS.items():
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_role("viewer")
        for what in ("access", "construct"):
            permissions.add_permission_for_role("viewer", f"media.factory.{what}", True)
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        factory.set_shared(True)
        factory.set_permissions(permissions)
        server.get_mount_points().add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit("the port is taken")
    print("ready", flush=True)
    GLib.MainLoop().run()


main(*sys.argv[1:])
