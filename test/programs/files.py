"""What Python programs do with files: `files.py TEST DIRECTORY`, in an empty one of the mount.

Each test ends with an assertion's error when what is read is not what was written.
"""

import fcntl
import filecmp
import hashlib
import mmap
import multiprocessing
import os
import random
import shutil
import struct
import sys
import tempfile

MIB = 1 << 20


def content(seed, size):
    return random.Random(seed).randbytes(size)


def make_tree(top, seed=20, files=300):
    """A tree of files whose content comes from the seed; what each of them holds."""
    held = {}
    chance = random.Random(seed)
    for i in range(files):
        folder = os.path.join(top, f"d{i % 9}", f"e{i % 5}")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"f{i}")
        held[os.path.relpath(path, top)] = content(i, chance.choice([0, 1, 5000, 4096, 70_001]))
        with open(path, "wb") as file:
            file.write(held[os.path.relpath(path, top)])
        os.utime(path, ns=(10**18 + i, 10**18 + 7 * i))
        os.chmod(path, 0o600 | (i % 64))
        if i % 20 == 0:
            os.symlink(f"f{i}", path + ".link")
            os.setxattr(path, "user.number", str(i).encode())
    return held


def check_tree(top, held):
    found = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                assert os.readlink(path) == name.removesuffix(".link"), path
                continue
            i = int(name[1:])
            stat = os.stat(path)
            assert stat.st_mtime_ns == 10**18 + 7 * i, (path, stat)
            assert stat.st_mode & 0o777 == 0o600 | (i % 64), (path, stat)
            if i % 20 == 0:
                assert os.getxattr(path, "user.number") == str(i).encode(), path
            with open(path, "rb") as file:
                found[os.path.relpath(path, top)] = file.read()
    assert found == held, set(found) ^ set(held)


def copytree_move_rmtree(top, beside):
    a, b, c, d = (os.path.join(top, name) for name in "abcd")
    held = make_tree(a)
    shutil.copytree(a, b, symlinks=True)
    check_tree(b, held)
    shutil.move(b, c)
    assert not os.path.exists(b)
    check_tree(c, held)
    # To another filesystem and back, which copies and then removes.
    away = os.path.join(beside, "away")
    shutil.move(c, away)
    check_tree(away, held)
    shutil.move(away, d)
    check_tree(d, held)
    comparison = filecmp.dircmp(a, d)
    assert not (comparison.diff_files or comparison.left_only or comparison.right_only)
    archive = shutil.make_archive(os.path.join(top, "all"), "zip", a)
    shutil.unpack_archive(archive, os.path.join(top, "e"))
    for path, wanted in held.items():
        with open(os.path.join(top, "e", path), "rb") as file:
            assert file.read() == wanted, path
    shutil.rmtree(a)
    shutil.rmtree(d)
    assert sorted(os.listdir(top)) == ["all.zip", "e"]


def shared_mapping(top, _):
    """Stores and write(2) take turns on one file, and each is seen by the other at once."""
    path = os.path.join(top, "mapped")
    size = 3 * MIB + 1000
    wanted = bytearray(content(1, size))
    with open(path, "wb") as file:
        file.write(wanted)
    chance = random.Random(2)
    with open(path, "r+b", buffering=0) as file, mmap.mmap(file.fileno(), size) as mapping:
        assert mapping[:] == wanted
        for turn in range(400):
            at = chance.randrange(size)
            piece = content(turn, min(chance.choice([1, 100, 4096, 50_000]), size - at))
            wanted[at : at + len(piece)] = piece
            if turn % 2 == 0:
                mapping[at : at + len(piece)] = piece
            else:
                assert os.pwrite(file.fileno(), piece, at) == len(piece)
            if turn % 50 == 0:
                mapping.flush()
            low = max(0, at - 5000)
            assert os.pread(file.fileno(), 20_000, low) == wanted[low : low + 20_000], turn
            assert mapping[low : low + 20_000] == wanted[low : low + 20_000], turn
        assert mapping[:] == wanted
    with open(path, "rb") as file:
        assert file.read() == wanted


def private_mapping(top, _):
    """What is stored in a private mapping stays there; what others write is in the other pages."""
    path = os.path.join(top, "private")
    size = 64 * mmap.PAGESIZE
    first = content(3, size)
    with open(path, "wb") as file:
        file.write(first)
    with open(path, "r+b", buffering=0) as file:
        mapping = mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE)
        mapping[100:200] = b"x" * 100
        mapping[10 * mmap.PAGESIZE : 11 * mmap.PAGESIZE] = b"y" * mmap.PAGESIZE
        assert file.read() == first
        os.pwrite(file.fileno(), b"z" * 50, 20 * mmap.PAGESIZE)
        assert mapping[100:200] == b"x" * 100
        assert mapping[200 : 10 * mmap.PAGESIZE] == first[200 : 10 * mmap.PAGESIZE]
        mapping.close()
    wanted = bytearray(first)
    wanted[20 * mmap.PAGESIZE : 20 * mmap.PAGESIZE + 50] = b"z" * 50
    with open(path, "rb") as file:
        assert file.read() == wanted


def store(path, seed, at, length):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[at : at + length] = content(seed, length)


def mapping_of_processes(top, _):
    """Four processes store into parts of one mapped file; a fifth reads it."""
    path = os.path.join(top, "of_processes")
    part = 700_001
    with open(path, "wb") as file:
        file.truncate(4 * part)
    with mmap.mmap(os.open(path, os.O_RDWR), 0) as mapping:
        started = [
            multiprocessing.Process(target=store, args=(path, i, i * part, part)) for i in range(4)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join()
            assert process.exitcode == 0
        wanted = b"".join(content(i, part) for i in range(4))
        assert mapping[:] == wanted
    with open(path, "rb") as file:
        assert file.read() == wanted


def copy_file_range(top, _):
    source, target = os.path.join(top, "source"), os.path.join(top, "target")
    held = content(4, 5 * MIB + 123)
    wanted = bytearray(6 * MIB)
    with open(source, "wb") as file:
        file.write(held)
    with open(source, "r+b") as one, open(target, "w+b") as other:
        other.truncate(len(wanted))
        for offset, to, length in [
            (0, 0, MIB),
            (4096, 2 * MIB, MIB),
            (1, 3 * MIB + 1, 12_345),
            (5 * MIB, 4 * MIB, 10_000),
            (77, 5 * MIB + 5, 4096 * 3),
        ]:
            expected = min(length, len(held) - offset)
            done = 0
            while done < expected:
                done += os.copy_file_range(
                    one.fileno(), other.fileno(), length - done, offset + done, to + done
                )
            assert done == expected, (done, expected)
            wanted[to : to + expected] = held[offset : offset + expected]
        assert os.copy_file_range(one.fileno(), other.fileno(), 10, len(held), 0) == 0
        # What is written to one of the two afterwards is not in the other.
        os.pwrite(one.fileno(), b"new", 4100)
        other.seek(0)
        assert other.read() == wanted
    with open(source, "rb") as file:
        assert file.read() == held[:4100] + b"new" + held[4103:]


def sendfile(top, _):
    source, target = os.path.join(top, "source"), os.path.join(top, "target")
    held = content(5, 3 * MIB + 17)
    with open(source, "wb") as file:
        file.write(held)
    with open(source, "rb") as one, open(target, "wb") as other:
        at = 0
        while at < len(held):
            at += os.sendfile(other.fileno(), one.fileno(), at, len(held) - at)
    with open(target, "rb") as file:
        assert file.read() == held
    # And through a pipe, by splice(2).
    with open(source, "rb") as one, open(target, "w+b") as other:
        out, into = os.pipe()
        for at in range(0, len(held), 4096):
            got = os.splice(one.fileno(), into, 4096, offset_src=at)
            assert os.splice(out, other.fileno(), got, offset_dst=at) == got
        other.seek(0)
        assert other.read() == held


def temporary_files(top, _):
    tempfile.tempdir = top
    with tempfile.TemporaryFile() as file, tempfile.NamedTemporaryFile() as named:
        # Made by O_TMPFILE: it has no name, and gets one by linkat(2).
        assert os.fstat(file.fileno()).st_nlink == 0
        file.write(content(6, 100_000))
        file.flush()
        linked = os.path.join(top, "linked")
        nameless = os.open(top, os.O_TMPFILE | os.O_RDWR, 0o640)
        os.write(nameless, content(7, 5000))
        # With a directory: without one Python calls link(2), which links the symlink of /proc.
        root = os.open("/", os.O_RDONLY)
        os.link(f"/proc/self/fd/{nameless}", linked, src_dir_fd=root, follow_symlinks=True)
        os.close(root)
        os.close(nameless)
        file.seek(0)
        assert file.read() == content(6, 100_000)
        with open(linked, "rb") as again:
            assert again.read() == content(7, 5000)
        os.unlink(named.name)
        named.write(b"still there")
        named.seek(0)
        assert named.read() == b"still there"
        open(named.name, "x").close()
    with tempfile.TemporaryDirectory() as folder:
        make_tree(folder, files=30)
    with tempfile.SpooledTemporaryFile(max_size=100) as spooled:
        spooled.write(content(8, 10_000))
        spooled.seek(0)
        assert spooled.read() == content(8, 10_000)
    assert sorted(os.listdir(top)) == ["linked"]


def add(path, times):
    with open(path, "r+b", buffering=0) as file:
        for _ in range(times):
            fcntl.lockf(file, fcntl.LOCK_EX, 8, 0)
            (value,) = struct.unpack("<q", os.pread(file.fileno(), 8, 0))
            os.pwrite(file.fileno(), struct.pack("<q", value + 1), 0)
            fcntl.lockf(file, fcntl.LOCK_UN, 8, 0)


def add_by_flock(path, times):
    with open(path, "r+b", buffering=0) as file:
        for _ in range(times):
            fcntl.flock(file, fcntl.LOCK_EX)
            (value,) = struct.unpack("<q", os.pread(file.fileno(), 8, 0))
            os.pwrite(file.fileno(), struct.pack("<q", value + 1), 0)
            fcntl.flock(file, fcntl.LOCK_UN)


def attempt(path, start, length, kind, answer):
    with open(path, "r+b") as file:
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB, length, start)
            answer.put("had")
        except BlockingIOError:
            answer.put("refused")


def locks_between_processes(top, _):
    """A counter that only its lock protects, then who is refused what."""
    path = os.path.join(top, "counter")
    for adder in (add, add_by_flock):
        with open(path, "wb") as file:
            file.write(bytes(100))
        started = [multiprocessing.Process(target=adder, args=(path, 500)) for _ in range(4)]
        for process in started:
            process.start()
        for process in started:
            process.join()
            assert process.exitcode == 0
        with open(path, "rb") as file:
            assert struct.unpack("<q", file.read(8)) == (2000,)

    answer = multiprocessing.Queue()

    def asked(start, length, kind):
        process = multiprocessing.Process(target=attempt, args=(path, start, length, kind, answer))
        process.start()
        process.join()
        return answer.get()

    with open(path, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 0)
        fcntl.lockf(file, fcntl.LOCK_SH, 10, 20)
        assert asked(0, 1, fcntl.LOCK_SH) == "refused"
        assert asked(9, 1, fcntl.LOCK_EX) == "refused"
        assert asked(10, 10, fcntl.LOCK_EX) == "had"
        assert asked(20, 5, fcntl.LOCK_SH) == "had"
        assert asked(20, 5, fcntl.LOCK_EX) == "refused"
        # One close of any of its descriptors ends all locks of a process.
        open(path, "rb").close()
        assert asked(0, 0, fcntl.LOCK_EX) == "had"


def told(command):
    """A process that runs a command when it is told to; it has nothing of ours open."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(into)
        os.read(out, 1)
        os.execvp(command[0], command)
    os.close(out)

    def tell():
        os.write(into, b".")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, command

    return tell


def files_that_are_still_written(top, _):
    """Others copy, and protect, what nobody has closed or synced yet."""
    written, mapped, kept = (os.path.join(top, name) for name in ("written", "mapped", "kept"))
    copies = {path: told(["cp", path, path + ".copy"]) for path in (written, mapped)}
    protect = told(["chattr", "+i", kept])
    unprotect = told(["chattr", "-i", kept])
    held = content(9, 300_000)
    files = [os.open(path, os.O_RDWR | os.O_CREAT) for path in (written, mapped, kept)]
    os.write(files[0], held)
    os.ftruncate(files[1], len(held))
    with mmap.mmap(files[1], len(held)) as mapping:
        mapping[:] = held
        for path, tell in copies.items():
            tell()
            with open(path + ".copy", "rb") as copy:
                assert copy.read() == held, f"{path}.copy"
    os.write(files[2], held)
    protect()
    os.fsync(files[2])
    for file in files:
        os.close(file)
    unprotect()
    for path in (written, mapped, kept):
        with open(path, "rb") as file:
            assert file.read() == held, path


def data_that_is_still_written(top, _):
    """What is only in pages is data, and no hole, to those who look for it."""
    written, mapped = (os.path.join(top, name) for name in ("written", "mapped"))
    for path in (written, mapped):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        other = os.open(path, os.O_RDONLY)
        if path == written:
            os.write(file, content(10, 300_000))
        else:
            os.ftruncate(file, 300_000)
            mmap.mmap(file, 300_000)[:] = content(10, 300_000)
        assert os.lseek(other, 0, os.SEEK_DATA) == 0, path
        assert os.lseek(other, 0, os.SEEK_HOLE) == 300_000, path
        assert os.pread(other, 300_001, 0) == content(10, 300_000), path
        os.close(file)
        os.close(other)


def directories_that_change(top, _):
    """What is there throughout is listed once, while other names come and go."""
    keep = {f"keep{i:04}" for i in range(2000)}
    for name in keep:
        open(os.path.join(top, name), "x").close()
    seen = []
    with os.scandir(top) as entries:
        for i, entry in enumerate(entries):
            seen.append(entry.name)
            if i % 3 == 0:
                open(os.path.join(top, f"new{i}"), "x").close()
            if i % 6 == 3:
                os.unlink(os.path.join(top, f"new{i - 3}"))
    assert len(seen) == len(set(seen)), "a name was listed twice"
    assert keep <= set(seen), keep - set(seen)
    assert hashlib.sha256("".join(sorted(keep & set(os.listdir(top)))).encode()).digest() == (
        hashlib.sha256("".join(sorted(keep)).encode()).digest()
    )


TESTS = {
    test.__name__: test
    for test in (
        copytree_move_rmtree,
        shared_mapping,
        private_mapping,
        mapping_of_processes,
        copy_file_range,
        sendfile,
        temporary_files,
        locks_between_processes,
        files_that_are_still_written,
        data_that_is_still_written,
        directories_that_change,
    )
}

if __name__ == "__main__":
    if sys.argv[1] == "--list":
        print("\n".join(TESTS))
    else:
        TESTS[sys.argv[1]](sys.argv[2], sys.argv[3])
        print(f"{sys.argv[1]} holds")
