"""Files that PyTorch writes, with the same tensors in safetensors: every type of element, views and shared memory, the format of
before 1.6, 64-bit and deflated archives, what trainers wrap a state dict in, and a model as one file and in parts.

Use: python pytorch_fixtures.py fixtures/pytorch fixtures/tiny-bert   (needs torch and safetensors)
"""
import collections
import pathlib
import struct
import sys
import zipfile

import torch
from safetensors.torch import load_file, save_file

torch.manual_seed(3)


def tensors():
    """Every type of element, and every way to lie in memory."""
    base = torch.arange(24, dtype=torch.float32) / 7
    found = collections.OrderedDict()
    for name in ["float64", "float32", "float16", "bfloat16"]:
        found[name] = torch.tensor([0.0, 1.0, -2.5, 0.1, 65504.0]).to(getattr(torch, name))
    for name in ["int64", "int32", "int16", "int8", "uint8", "bool"]:
        found[name] = torch.tensor([0, 1, 1, 0]).to(getattr(torch, name))
    found["scalar"] = torch.tensor(1.5)
    found["empty"] = torch.zeros(0, 3)
    found["whole"] = base.view(4, 6)
    found["transposed"] = base.view(4, 6).t()
    found["rows"] = base.view(4, 6)[1:3]
    found["columns"] = base.view(4, 6)[:, 2:5]
    found["every_second"] = base[1::2]
    found["permuted"] = base.view(2, 3, 4).permute(2, 0, 1)
    found["repeated"] = torch.tensor([3.25]).expand(4, 5)
    found["one_by_one"] = base.view(4, 6)[2:3, :].t()[3:4]
    found["parameter"] = torch.nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    found["half_transposed"] = torch.randn(3, 5).half().t()
    return found


def big_endian(source, target):
    """The archive as a machine with the other byte order writes it: the float32 tensors alone."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith("/byteorder"):
                data = b"big"
            elif "/data/" in entry.filename:
                data = b"".join(data[at:at + 4][::-1] for at in range(0, len(data), 4))
            new.writestr(entry.filename, data)


def rezipped(source, target, method, wide=False):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for entry in old.infolist():
            with new.open(entry.filename, "w", force_zip64=wide) as file:
                file.write(old.read(entry))
    if wide:
        widen(target)


def widen(path):
    """Puts the places and sizes of an archive into 64-bit fields, as for archives beyond 4 GB."""
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    count, size, start = struct.unpack("<HII", data[end + 10:end + 20])
    at, entries = start, b""
    for _ in range(count):
        head = bytearray(data[at:at + 46])
        packed, unpacked = struct.unpack("<II", head[20:28])
        name, extra, comment = struct.unpack("<HHH", head[28:34])
        (header,) = struct.unpack("<I", head[42:46])
        head[20:28] = b"\xff" * 8
        head[42:46] = b"\xff" * 4
        fields = struct.pack("<HHQQQ", 1, 24, unpacked, packed, header)
        head[30:34] = struct.pack("<HH", len(fields), 0)
        entries += bytes(head) + data[at + 46:at + 46 + name] + fields
        at += 46 + name + extra + comment
    wide = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(entries), start)
    locator = struct.pack("<IIQI", 0x07064B50, 0, start + len(entries), 1)
    last = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(data[:start] + entries + wide + locator + last)


def main(folder, model):
    folder.mkdir(parents=True, exist_ok=True)
    all_tensors = tensors()
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in all_tensors.items()}, folder / "expected.safetensors")
    torch.save(all_tensors, folder / "zip.pt")
    torch.save(all_tensors, folder / "protocol4.pt", pickle_protocol=4)
    torch.save(all_tensors, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    rezipped(folder / "zip.pt", folder / "deflated.pt", zipfile.ZIP_DEFLATED)
    rezipped(folder / "zip.pt", folder / "zip64.pt", zipfile.ZIP_STORED, wide=True)
    single = collections.OrderedDict((name, tensor) for name, tensor in all_tensors.items() if tensor.dtype == torch.float32)
    torch.save(single, folder / "single.pt")
    big_endian(folder / "single.pt", folder / "big_endian.pt")
    (folder / "single.pt").unlink()
    for path in folder.glob("*.pt"):
        if path.name != "big_endian.pt":
            # PyTorch's own reader of weights knows protocol 2 alone.
            read = torch.load(path, weights_only=path.name != "protocol4.pt")
            assert all(torch.equal(read[name], tensor) for name, tensor in all_tensors.items()), path

    few = {"a.weight": torch.tensor([[1.0, 2.0]]), "a.bias": torch.tensor([3.0])}
    trainer = {"epoch": 3, "best": 0.5, "name": "run", "flags": [True, None, 1 << 40], "sizes": torch.Size([2, 3]),
               "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999)}]}}
    torch.save({**trainer, "state_dict": few}, folder / "lightning.ckpt")
    torch.save({**trainer, "model": {"state_dict": few}}, folder / "nested.pt")
    torch.save({**trainer, "module": few, "loss": torch.tensor(0.25)}, folder / "deepspeed.pt")
    layer = torch.nn.Linear(2, 1)
    torch.save(layer.state_dict(), folder / "with_metadata.pt")
    torch.save(layer, folder / "module.pt")
    torch.jit.save(torch.jit.script(layer), folder / "script.pt")
    torch.save({"numbers": [1, 2]}, folder / "no_tensors.pt")

    weights = load_file(model / "model.safetensors")
    (folder / "model").mkdir(exist_ok=True)
    torch.save({name: tensor.half() for name, tensor in weights.items()}, folder / "model/pytorch_model.bin")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
