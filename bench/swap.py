"""What a swap costs beside its network, whether its memory grows, and whether two in a chain use two cores.

    python bench/swap.py [video with one face, at least 5 s]
    python bench/swap.py chain [video]     # the last figures alone
Cost: alignment, colours and paste of one face with a network that does nothing, in milliseconds and beside reading the face's landmarks; then processor time of the
effect, and of a whole job (reading, following the face, swapping, marking, encoding), over that of the network alone, with an untrained network of the layers of
inswapper_128 (554 MB). Memory: the peak after 25 frames and after all of the video, with a small network. Chain: processor seconds for each second of the wall clock
while one swap works, and while two work behind each other; and, since other programs take the processors on a busy machine, the threads that had work at a time:
seconds that threads computed or waited for a processor, for each second of the wall clock (Linux)."""
import resource, sys, tempfile, time
from itertools import islice
from pathlib import Path
import cv2, numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skimage import data
from lipsync_kit.core import Frame
from lipsync_kit.effects.colour import WAYS
from lipsync_kit.effects.effect import EffectContext, chained
from lipsync_kit.effects.swap import Swap, SwapSettings, crop_map, crop_values
from lipsync_kit.effects.swapper import swapped
from lipsync_kit.faces.detect import landmarks, landmarks_near
from lipsync_kit.faces.onnx_faces import OnnxNetwork
from lipsync_kit.faces.track import track_faces
from lipsync_kit.media.read import read_frames
from lipsync_kit.media.write import write_image
from lipsync_kit.pipe.run import process
from measure import MEDIA

cv2.setNumThreads(1)
node = helper.make_node

class Graph:
    "An ONNX graph of random weights, layer by layer"
    def __init__(self, seed=0): self.rng, self.nodes, self.initial, self.last = np.random.default_rng(seed), [], [], 'target'
    def weights(self, shape, k):
        self.initial.append(numpy_helper.from_array(self.rng.standard_normal(shape, np.float32) * np.float32(k), f'w{len(self.initial)}'))
        return f'w{len(self.initial) - 1}'
    def add(self, op, *more, **given):
        name = f'n{len(self.nodes)}'
        self.nodes.append(node(op, [self.last, *more], [name], **given))
        self.last = name
    def conv(self, i, o, k, stride=1, act='Relu'):
        self.add('Conv', self.weights((o, i, k, k), (2 / (i * k * k))**.5), pads=[k // 2] * 4, strides=[stride] * 2)
        if act: self.add(act)
    def styled(self, c):
        "A convolution whose channels are set by the identity"
        self.conv(c, c, 3, act=None)
        self.add('InstanceNormalization', self.ones(c), self.zeros(c))
        base = self.last
        for op in 'Mul', 'Add':
            self.last = 'source'
            self.add('MatMul', self.weights((512, c), .1))
            self.add('Reshape', self.shape((1, c, 1, 1)))
            style, self.last = self.last, base
            self.add(op, style)
            base = self.last
    def ones(self, c): self.initial.append(numpy_helper.from_array(np.ones(c, np.float32), f'w{len(self.initial)}')); return f'w{len(self.initial) - 1}'
    def zeros(self, c): self.initial.append(numpy_helper.from_array(np.zeros(c, np.float32), f'w{len(self.initial)}')); return f'w{len(self.initial) - 1}'
    def shape(self, s): self.initial.append(numpy_helper.from_array(np.int64(s), f'w{len(self.initial)}')); return f'w{len(self.initial) - 1}'
    def twice(self):
        self.nodes.append(node('Resize', [self.last, '', f's{len(self.nodes)}'], [f'n{len(self.nodes)}'], mode='linear'))
        self.initial.append(numpy_helper.from_array(np.float32([1, 1, 2, 2]), f's{len(self.nodes) - 1}'))
        self.last = f'n{len(self.nodes) - 1}'

def swapper(path, width=128, blocks=6):
    "A file of inswapper_128's inputs, output and layers: down to a quarter, blocks of two convolutions set by the identity, up again"
    g, w = Graph(), width
    for i, o, k, stride in ((3, w, 7, 1), (w, 2 * w, 3, 1), (2 * w, 4 * w, 3, 2), (4 * w, 8 * w, 3, 2)): g.conv(i, o, k, stride)
    for _ in range(blocks):
        before = g.last
        g.styled(8 * w)
        g.add('Relu')
        g.styled(8 * w)
        g.add('Add', before)
    for i, o in ((8 * w, 4 * w), (4 * w, 2 * w)): g.twice(); g.conv(i, o, 3)
    g.conv(2 * w, w, 3)
    g.conv(w, 3, 7, act='Sigmoid')
    emap = numpy_helper.from_array(np.eye(512, dtype=np.float32), 'emap')
    def value(name, *shape): return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(g.nodes, 'swap', [value('target', 1, 3, 128, 128), value('source', 1, 512)], [value(g.last, 1, 3, 128, 128)], [*g.initial, emap])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), path)

def vectors(path):
    "A file of w600k_r50's input and output"
    w = numpy_helper.from_array(np.random.default_rng(0).standard_normal((147, 512), np.float32), 'w')
    nodes = [node('AveragePool', ['x'], ['p'], kernel_shape=[16, 16], strides=[16, 16]), node('Flatten', ['p'], ['f']), node('MatMul', ['f', 'w'], ['out'])]
    io = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (('x', (1, 3, 112, 112)), ('out', (1, 512)))]
    onnx.save(helper.make_model(helper.make_graph(nodes, 'vector', io[:1], io[1:], [w]), opset_imports=[helper.make_opsetid('', 13)], ir_version=8), path)

def networks(folder, **size):
    folder.mkdir()
    swapper(folder/'inswapper_128.onnx', **size)
    vectors(folder/'w600k_r50.onnx')
    return folder

def per_call(f, n=15):
    "Median milliseconds of processor time"
    took = []
    for _ in range(n): t = time.process_time(); f(); took.append(1000 * (time.process_time() - t))
    return np.median(took)

def beside_the_network():
    for title, k in ('eyes 42 pixels apart', 1), ('eyes 126 pixels apart', 3):
        photo = cv2.resize(data.astronaut(), None, fx=k, fy=k, interpolation=cv2.INTER_CUBIC)
        face = landmarks(photo)
        frame, values = Frame(photo, 0), crop_values(face)
        base = per_call(lambda: landmarks_near(photo, face.points, side=256))
        print(f'{title}: landmarks {base:.1f} ms')
        for pixels in 128, 256:
            costs = [per_call(lambda: swapped(frame, face.points, crop_map(values, pixels), pixels, lambda c, i: c.astype(np.float32), None, colour=w)) for w in WAYS]
            print(f'   drawn at {pixels}: ' + ', '.join(f'{w} {c:.1f} ms ({c / base:.2f} times)' for w, c in zip(WAYS, costs)))

class Timed:
    "Runs of the swap network, and the processor time that they took in the thread that calls: all of it on two cores, where a session has one thread"
    def __init__(self): self.real, self.seconds, self.calls = OnnxNetwork.__call__, 0., 0
    def __enter__(self):
        def run(net, *arrays):
            begun = time.thread_time()
            out = self.real(net, *arrays)
            if len(arrays) == 2: self.seconds += time.thread_time() - begun; self.calls += 1
            return out
        OnnxNetwork.__call__ = run
        return self
    def __exit__(self, *_): OnnxNetwork.__call__ = self.real

def effect(weights, picture): return Swap(SwapSettings(source=picture, consent=True, weights=str(weights)))

def cost(path, weights, picture, n=8):
    pairs, swap = list(islice(track_faces(read_frames(path)), n)), effect(weights, picture)
    for frame, _ in pairs: frame.image
    swap.prepare('cpu')
    with Timed() as net:
        begun = time.process_time()
        for _ in swap.apply(iter(pairs), EffectContext(None, device='cpu')): pass
        whole = time.process_time() - begun
    print(f'a swap with a network of the size of inswapper_128: {whole / net.calls:.2f} core-s a frame, {whole / net.seconds:.3f} times the network alone')

def job(path, weights, picture, folder, frames=(4, 12)):
    "The difference of a long and a short job, so that loading half a gigabyte does not count"
    took = []
    for n in frames:
        clip = cut(path, folder/f'{n}.mp4', n)
        with Timed() as net:
            begun = time.process_time()
            process(clip, f'swap:source={picture},consent=yes,weights={weights}', out=folder/f'job{n}.mp4', device='cpu')
            took.append((time.process_time() - begun, net.seconds))
    whole, alone = np.diff(took, axis=0)[0]
    print(f'a whole job, a frame more: {whole / alone:.3f} times the network alone; loading and one short job: {took[0][0]:.1f} core-s, {took[0][1]:.1f} of them in the network')

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

def memory(path, weights, picture):
    swap, peaks = effect(weights, picture), []
    for i, _ in enumerate(swap.apply(track_faces(read_frames(path)), EffectContext(None, device='cpu')), 1):
        if i == 25: peaks.append(peak())
    print(f'memory: {peaks[0]:.0f} MB after 25 frames, {peak():.0f} MB after {i}')

class Ready:
    "Seconds that the threads of this process computed or were ready to and waited for a processor, by thread"
    def __init__(self): self.first, self.last = self.now(), {}
    @staticmethod
    def now(): return {t.parent.name: sum(map(int, t.read_text().split()[:2])) / 1e9 for t in Path('/proc/self/task').glob('*/schedstat')}
    def look(self): self.last |= self.now()     # a thread that has ended keeps what it had
    @property
    def seconds(self): return sum(x - self.first.get(t, 0.) for t, x in self.last.items())

def chain(path, weights, picture, n=8):
    pairs = list(islice(track_faces(read_frames(path)), n))
    for count in 1, 2:
        effects = [effect(weights, picture) for _ in range(count)]
        for e in effects: e.prepare('cpu')
        cpu, wall, ready = time.process_time(), time.perf_counter(), Ready()
        for _ in chained(iter(pairs), effects, EffectContext(None, device='cpu')): ready.look()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(f'{count} in a chain: {cpu:.1f} core-s in {wall:.1f} s, {cpu / wall:.2f} cores; {ready.seconds / wall:.2f} threads had work at a time', flush=True)

def cut(path, out, n):
    from lipsync_kit.media.write import Writer
    frames = [f.image for f in islice(read_frames(path), n)]
    with Writer(out, *frames[0].shape[1::-1]) as w:
        for f in frames: w.write(f)
    return out

def main():
    words = sys.argv[1:]
    alone = words[:1] == ['chain'] and words.pop(0)
    path = Path(words[0]) if words else MEDIA/'clips'/'news_german_anchor.mp4'
    with tempfile.TemporaryDirectory() as d:
        d, picture = Path(d), str(Path(d)/'face.png')
        write_image(picture, data.astronaut())
        if alone: return chain(path, networks(d/'chain', width=32), picture, 48)
        memory(path, networks(d/'small', width=4, blocks=1), picture)
        beside_the_network()
        full = networks(d/'full')
        print(f"untrained network: {(full/'inswapper_128.onnx').stat().st_size / 1e6:.0f} MB")
        cost(path, full, picture)
        job(path, full, picture, d)
        chain(path, networks(d/'chain', width=32), picture, 48)

if __name__ == '__main__': main()
