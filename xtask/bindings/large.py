"""As large.c, from Python."""

import io

import ctalk

SIZE = 64 << 20


def status(name):
    """A line of /proc/self/status in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(name))


def growth(name, work):
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    before = status("VmRSS:")
    result = work()
    print(f"{name}_growth {status('VmHWM:') - before}")
    print(f"{name}_result {len(result)}")
    return result


class Endless(io.RawIOBase):
    """So many bytes, which nobody keeps."""

    def __init__(self, size):
        self.left = size

    def read(self, capacity):
        taken = min(capacity, self.left)
        self.left -= taken
        return bytes(taken)


class Nowhere(io.RawIOBase):
    def write(self, data):
        return len(data)


def main():
    identity = ctalk.Identity.generate()
    card = identity.card()
    payload = b"x" * SIZE
    # So that what is made once is there already.
    identity.open(identity.seal(payload[:1024], [card]), sender=card)

    sealed = growth("seal", lambda: identity.seal(payload, [card]))
    growth("open", lambda: identity.open(sealed, sender=card).payload)

    def stream():
        identity.seal_file(Endless(SIZE), Nowhere(), [card])
        return b""

    growth("stream", stream)


main()
