from audiomon.errors import ConfigError


def test_an_error_is_one_printable_line_whatever_it_quotes():
    message = str(ConfigError("/etc/über\udcff.yaml:1: no\nsuch \x1b[31mfile\u2028 – »x«"))
    assert message == "/etc/über\\udcff.yaml:1: no\\nsuch \\x1b[31mfile\\u2028 – »x«"
    message.encode()
