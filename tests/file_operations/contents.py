"""What is done with the contents of files."""

from __future__ import annotations

CONTENTS: dict[str, str] = {
    "open for reading": """
attempt(lambda: open(at("a.txt")).read())
attempt(open, at("missing"))
attempt(open, at("missing/deeper"))
attempt(open, at("a.txt/below"))
attempt(open, at("a.txt/"))
attempt(open, at("empty"))
""",
    "open for writing": """
attempt(lambda: open(at("new"), "w").write("x"))
attempt(lambda: open(at("a.txt"), "w").write("shorter"))
attempt(open, at("missing/new"), "w")
attempt(open, at("empty"), "w")
attempt(open, at("new/"), "w")
attempt(open, at("fresh/"), "w")
""",
    "open exclusively": """
attempt(lambda: open(at("new"), "x").write("mine"))
attempt(open, at("new"), "x")
attempt(open, at("empty"), "x")
attempt(open, at("nowhere"), "x")
attempt(opened, "lock", os.O_CREAT | os.O_EXCL | os.O_RDWR)
attempt(opened, "lock", os.O_CREAT | os.O_EXCL | os.O_RDWR)
""",
    "open for appending": """
with open(at("a.txt"), "a") as file:
    show(file.tell())
    file.write("more\\n")
    file.seek(0)
    file.write("at the end all the same\\n")
with open(at("a.txt"), "a+") as file:
    show(file.read())
    file.seek(0)
    show(file.readline())
    file.write("last\\n")
show(content("a.txt"))
attempt(lambda: open(at("made by a"), "a").close())
""",
    "two writers append": """
one = os.open(at("log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
two = os.open(at("log"), os.O_WRONLY | os.O_APPEND)
for number in range(5):
    os.write(one, b"one %d\\n" % number)
    os.write(two, b"two %d\\n" % number)
os.close(one), os.close(two)
show(content("log"))
""",
    "open for updating": """
with open(at("a.txt"), "r+") as file:
    file.write("J")
    file.flush()
    show(file.read())
    file.seek(0, 2)
    show(file.tell())
with open(at("both"), "w+") as file:
    file.write("abc")
    file.seek(1)
    show(file.read())
attempt(open, at("missing"), "r+")
show(content("a.txt"))
""",
    "flags of os.open": """
attempt(opened, "made", os.O_RDONLY | os.O_CREAT)
attempt(opened, "made", os.O_RDONLY | os.O_CREAT | os.O_EXCL)
attempt(opened, "a.txt", os.O_RDWR | os.O_TRUNC)
show(content("a.txt"))
attempt(opened, "b.bin", os.O_WRONLY | os.O_TRUNC | os.O_APPEND)
show(content("b.bin"))
attempt(opened, "full", os.O_RDONLY | os.O_DIRECTORY)
attempt(opened, "a.txt", os.O_RDONLY | os.O_DIRECTORY)
attempt(opened, "full", os.O_RDWR)
attempt(opened, "full", os.O_RDONLY | os.O_CREAT)
attempt(opened, "link", os.O_RDONLY | os.O_NOFOLLOW)
attempt(opened, "a.txt", os.O_RDONLY | os.O_NOFOLLOW)
attempt(opened, "missing", os.O_WRONLY | os.O_TRUNC)
""",
    "descriptors allow what they were opened for": """
reading, writing = os.open(at("a.txt"), os.O_RDONLY), os.open(at("a.txt"), os.O_WRONLY)
attempt(os.write, reading, b"x")
attempt(os.read, writing, 5)
attempt(os.ftruncate, reading, 0)
attempt(os.pwrite, reading, b"x", 0)
os.close(reading), os.close(writing)
attempt(os.read, reading, 5)
attempt(os.fstat, reading)
attempt(os.close, reading)
folder = os.open(at("full"), os.O_RDONLY)
attempt(os.read, folder, 5)
attempt(os.fsync, folder)
os.close(folder)
""",
    "seek and tell": """
with open(at("b.bin"), "rb") as file:
    show(file.seek(250), file.read(), file.read(), file.tell())
    show(file.seek(-6, 2), file.read(2), file.seek(1, 1), file.read(1))
    attempt(file.seek, -1)
    show(file.seek(10_000), file.read())
fd = os.open(at("b.bin"), os.O_RDONLY)
attempt(os.lseek, fd, -300, os.SEEK_END)
attempt(os.lseek, fd, -1, os.SEEK_SET)
attempt(os.lseek, fd, 0, 77)
show(os.lseek(fd, 5, os.SEEK_END))
os.close(fd)
""",
    "holes": """
with open(at("sparse"), "wb") as file:
    file.seek(100_000)
    file.write(b"end")
show(os.path.getsize(at("sparse")), content("sparse")[:3], content("sparse")[-4:])
""",
    "pread and pwrite": """
fd = os.open(at("b.bin"), os.O_RDWR)
show(os.pread(fd, 4, 65), os.pread(fd, 4, 254), os.pread(fd, 4, 300))
show(os.pwrite(fd, b"PQ", 65), os.pread(fd, 4, 64), os.lseek(fd, 0, os.SEEK_CUR))
show(os.read(fd, 2), os.pread(fd, 1, 0), os.read(fd, 2))
attempt(os.pread, fd, 4, -1)
os.close(fd)
appending = os.open(at("a.txt"), os.O_RDWR | os.O_APPEND)
show(os.pwrite(appending, b"appended", 0), os.pread(appending, 3, 0))
os.close(appending)
show(content("a.txt"))
""",
    "several buffers at once": """
fd = os.open(at("vector"), os.O_RDWR | os.O_CREAT)
show(os.writev(fd, [b"one", b"", b"two"]))
os.lseek(fd, 0, os.SEEK_SET)
parts = [bytearray(2), bytearray(3), bytearray(9)]
show(os.readv(fd, parts), parts)
os.close(fd)
""",
    "a megabyte in odd pieces": """
data = bytes(range(251)) * 4200
with open(at("large"), "wb", buffering=0) as file:
    position = 0
    for size in (1, 65536, 65537, 3, 300_000, 10**6):
        position += file.write(data[position : position + size])
show(content("large") == data)
""",
    "read into a buffer": """
buffer = bytearray(10)
with open(at("b.bin"), "rb", buffering=0) as file:
    show(file.readinto(buffer), bytes(buffer), file.readinto(memoryview(buffer)[3:5]), buffer)
    file.seek(0)
    show(len(file.readall()))
""",
    "text": """
with open(at("text"), "w", encoding="utf-8", newline="\\r\\n") as file:
    file.write("grüße\\n日本\\n")
show(content("text"), open(at("text"), encoding="utf-8").readlines())
attempt(lambda: open(at("b.bin"), encoding="utf-8").read())
""",
    "truncate": """
attempt(os.truncate, at("a.txt"), 2)
show(content("a.txt"))
attempt(os.truncate, at("a.txt"), 5)
show(content("a.txt"))
attempt(os.truncate, at("link"), 1)
show(content("a.txt"))
attempt(os.truncate, at("missing"), 0)
attempt(os.truncate, at("empty"), 0)
attempt(os.truncate, at("a.txt"), -1)
with open(at("b.bin"), "r+b") as file:
    show(file.truncate(10), file.tell(), file.seek(0, 2), file.truncate(), file.truncate(12))
    attempt(file.truncate, -1)
show(content("b.bin"))
""",
    "duplicates share a position": """
fd = os.open(at("b.bin"), os.O_RDONLY)
twin = os.dup(fd)
show(os.read(fd, 3), os.read(twin, 3), os.lseek(twin, 100, os.SEEK_SET), os.read(fd, 2))
os.close(fd)
show(os.read(twin, 2), os.fstat(twin).st_size)
target = os.open(at("a.txt"), os.O_RDONLY)
os.dup2(twin, target)
os.close(twin)
show(os.read(target, 2))
os.close(target)
attempt(os.read, target, 1)
""",
    "an open file outlives its name": """
with open(at("a.txt"), "r+") as file:
    os.unlink(at("a.txt"))
    show(file.read(), os.fstat(file.fileno()).st_nlink, os.path.exists(at("a.txt")))
    file.write("still there")
    file.seek(0)
    show(file.read())
with open(at("b.bin"), "rb") as file:
    os.rename(at("b.bin"), at("c.bin"))
    show(len(file.read()), os.path.samestat(os.fstat(file.fileno()), os.stat(at("c.bin"))))
""",
    "sync": """
with open(at("a.txt"), "a") as file:
    file.write("x")
    file.flush()
    show(os.fsync(file.fileno()), os.fdatasync(file.fileno()))
""",
}
