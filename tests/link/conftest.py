import pytest

pytest.importorskip("aiomqtt", reason="needs the link extra")
