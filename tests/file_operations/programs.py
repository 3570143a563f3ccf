"""What modules of the standard library do with files."""

from __future__ import annotations

PROGRAMS: dict[str, str] = {
    "copy": """
os.utime(at("b.bin"), (1_000_000_000, 1_000_000_000.5))
os.chmod(at("b.bin"), 0o640)
attempt(shutil.copy, at("b.bin"), at("c.bin"))
attempt(shutil.copy2, at("b.bin"), at("d.bin"))
show(os.stat(at("d.bin")).st_mtime, stat.filemode(os.stat(at("d.bin")).st_mode))
attempt(shutil.copyfile, at("a.txt"), at("a.txt"))
attempt(shutil.copyfile, at("a.txt"), at("empty"))
attempt(shutil.copy, at("a.txt"), at("empty"))
attempt(shutil.copy, at("missing"), at("e"))
attempt(shutil.copyfile, at("full"), at("e"))
""",
    "copy a tree": """
os.unlink(at("nowhere")), os.unlink(at("loop"))
attempt(shutil.copytree, root, at("empty/copy"), ignore=shutil.ignore_patterns("empty"))
attempt(shutil.copytree, at("full"), at("empty"))
attempt(shutil.copytree, at("full"), at("empty"), dirs_exist_ok=True)
""",
    "remove a tree": """
attempt(shutil.rmtree, at("full"))
attempt(shutil.rmtree, at("full"))
attempt(shutil.rmtree, at("a.txt"))
attempt(shutil.rmtree, at("folder"))
os.makedirs(at("t/1/2/3")), os.makedirs(at("t/4"))
Path(at("t/1/2/x")).touch()
attempt(shutil.rmtree, at("t"))
attempt(shutil.rmtree, at("missing"), ignore_errors=True)
""",
    "move": """
attempt(shutil.move, at("a.txt"), at("full"))
attempt(shutil.move, at("full"), at("empty"))
attempt(shutil.move, at("empty"), at("empty/full"))
attempt(shutil.move, at("b.bin"), at("c.bin"))
attempt(shutil.move, at("missing"), at("c.bin"))
""",
    "temporary files": """
with tempfile.TemporaryDirectory(dir=root) as folder:
    Path(folder, "x").write_text("x")
    show(os.path.dirname(folder))
show(sorted(os.listdir(root)))
with tempfile.NamedTemporaryFile(dir=root) as file:
    file.write(b"x" * 100)
    file.flush()
    show(os.path.getsize(file.name), stat.filemode(os.stat(file.name).st_mode))
with tempfile.TemporaryFile(dir=root) as file:
    file.write(b"abc")
    file.seek(0)
    show(file.read())
with tempfile.SpooledTemporaryFile(max_size=10, dir=root) as file:
    file.write(b"x" * 100)
    file.seek(0)
    show(len(file.read()))
fd, name = tempfile.mkstemp(dir=root, prefix="p", suffix=".s")
os.close(fd), os.unlink(name)
show(sorted(os.listdir(root)))
""",
    "pathlib": """
p = Path(root)
show(p.exists(), (p / "a.txt").is_file(), (p / "full").is_dir(), (p / "link").is_symlink())
show((p / "a.txt").read_text(), (p / "n").write_bytes(b"123"), (p / "n").stat().st_size)
show(sorted(x.name for x in p.iterdir()), (p / "n").replace(p / "m").name)
attempt((p / "missing").read_text)
attempt((p / "full").rmdir)
show((p / "a.txt").samefile(p / "link"), (p / "full" / "..").resolve() == p.resolve())
""",
    "sqlite": """
import sqlite3
with sqlite3.connect(at("data.db")) as db:
    db.execute("create table t (n integer primary key, text)")
    db.executemany("insert into t (text) values (?)", [(str(n),) for n in range(1000)])
db.close()
db = sqlite3.connect(at("data.db"))
show(db.execute("select count(*), max(n) from t").fetchone())
for mode in ("delete", "truncate", "persist", "memory"):
    show(db.execute(f"pragma journal_mode={mode}").fetchone())
    db.execute("begin")
    db.execute("delete from t where n > 500")
    db.rollback()
    with db:
        db.execute("insert into t (text) values (?)", (mode,))
show(db.execute("select count(*) from t").fetchone())
show(db.execute("pragma integrity_check").fetchone())
show(db.execute("vacuum").fetchall())
db.close()
show([name for name in sorted(os.listdir(root)) if name.startswith("data.db")])
db = sqlite3.connect(f"file:{at('data.db')}?mode=ro", uri=True)
attempt(db.execute, "delete from t")
db.close()
attempt(lambda: sqlite3.connect(at("missing/x.db")).execute("select 1"))
attempt(lambda: sqlite3.connect(at("a.txt")).execute("select * from t"))
os.unlink(at("data.db"))  # versions of sqlite write different bytes
""",
    "mmap for reading": """
import mmap
with open(at("b.bin"), "rb") as file:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        show(len(view), view[65:70], view.find(b"\\x80"), view.size())
    with mmap.mmap(file.fileno(), 16, access=mmap.ACCESS_COPY) as view:
        view[0:3] = b"abc"
        show(view[:4])
    attempt(mmap.mmap, file.fileno(), 0, access=mmap.ACCESS_WRITE)
    attempt(mmap.mmap, file.fileno(), 1000, access=mmap.ACCESS_READ)
show(content("b.bin")[:4])
""",
    "mmap for writing": """
import mmap
with open(at("b.bin"), "r+b") as file:
    view = mmap.mmap(file.fileno(), 0)
    view[10:13] = b"abc"
    view.flush()
    show(content("b.bin")[9:14])
    view[20:23] = b"def"
view[30:33] = b"ghi"
with open(at("a.txt"), "r+b") as other:
    view.close()
show(content("b.bin")[19:24], content("b.bin")[29:34], len(content("b.bin")), content("a.txt"))
with open(at("b.bin"), "r+b") as file:
    view = mmap.mmap(file.fileno(), 0)
view[0:2] = b"XY"
del view
import gc
gc.collect()
show(content("b.bin")[:3])
""",
    "archives": """
import gzip, tarfile, zipfile
with zipfile.ZipFile(at("z.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
    archive.write(at("b.bin"), "b.bin")
with zipfile.ZipFile(at("z.zip"), "a") as archive:
    archive.writestr("x/y.txt", "y")
with zipfile.ZipFile(at("z.zip")) as archive:
    show(archive.namelist(), archive.testzip())
    archive.extractall(at("unzipped"))
with tarfile.open(at("t.tar.gz"), "w:gz") as archive:
    archive.add(at("full"), "full")
with tarfile.open(at("t.tar.gz")) as archive:
    archive.extractall(at("untarred"), filter="data")
show(sorted(os.listdir(at("untarred/full"))), content("unzipped/x/y.txt"))
os.unlink(at("z.zip")), os.unlink(at("t.tar.gz"))
with gzip.open(at("g.gz"), "wb") as file:
    file.write(b"x" * 10_000)
show(len(gzip.open(at("g.gz")).read()))
os.unlink(at("g.gz"))
""",
    "pickle and json": """
import json, pickle
with open(at("p"), "wb") as file:
    pickle.dump(list(range(1000)), file, protocol=4)
show(len(pickle.load(open(at("p"), "rb"))))
json.dump({"é": 1}, open(at("j"), "w"))
""",
    "modules": """
import importlib
Path(at("package_of_test")).mkdir()
Path(at("package_of_test/__init__.py")).write_text("from .inner import value")
Path(at("package_of_test/inner.py")).write_text("value = 1")
sys.path.insert(0, root)
former = sys.dont_write_bytecode
sys.dont_write_bytecode = True
importlib.invalidate_caches()
import package_of_test.inner
show(package_of_test.value)
Path(at("package_of_test/inner.py")).write_text("value = 'changed'")
importlib.reload(package_of_test.inner)
show(importlib.reload(package_of_test).value, package_of_test.__file__)
sys.path.remove(root)
sys.dont_write_bytecode = former
del sys.modules["package_of_test"], sys.modules["package_of_test.inner"]
""",
    "lock files and atomic replacement": """
def locked():
    try:
        os.close(os.open(at("x.lock"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True
show(locked(), locked(), os.unlink(at("x.lock")), locked())
with open(at("a.txt.new"), "w") as file:
    file.write("new content")
    file.flush()
    os.fsync(file.fileno())
os.replace(at("a.txt.new"), at("a.txt"))
folder = os.open(root, os.O_RDONLY)
os.fsync(folder), os.close(folder)
show(content("a.txt"))
""",
    "file input and other modules": """
import configparser, csv, fileinput, filecmp, linecache, logging.handlers
with open(at("t.csv"), "w", newline="") as file:
    csv.writer(file).writerows([[1, "é"], [2, 'q"']])
show(list(csv.reader(open(at("t.csv"), newline=""))))
with fileinput.input(at("a.txt"), inplace=True) as lines:
    for line in lines:
        sys.stdout.write(line.upper())
show(content("a.txt"), linecache.getline(at("a.txt"), 1))
show(filecmp.cmp(at("a.txt"), at("link"), False))
handler = logging.handlers.RotatingFileHandler(at("log"), maxBytes=50, backupCount=2)
for number in range(20):
    handler.emit(logging.LogRecord("n", 20, "f", 1, f"message {number}", None, None))
handler.close()
show(sorted(name for name in os.listdir(root) if name.startswith("log")))
""",
}
