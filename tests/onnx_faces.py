"Networks of the shapes that InsightFace's files have, with random weights, written as ONNX."
from pathlib import Path
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node

def save(path:Path, inputs:dict, outputs:dict, nodes, initial:dict)->Path:
    "An ONNX file; initialisers keep their order"
    def value(name, shape): return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, path.stem, [value(*i) for i in inputs.items()], [value(*o) for o in outputs.items()],
                              [numpy_helper.from_array(v, k) for k, v in initial.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), path)
    return path

def pooled(path:Path, side:int, cell:int, n:int, seed:int, scaled:bool=False)->Path:
    "Means of squares mixed into `n` numbers; `scaled` begins with a subtraction and a multiplication, as mxnet's exports do"
    k = 3 * (side // cell)**2
    w = np.random.default_rng(seed).normal(0, k**-.5, (k, n)).astype(np.float32)
    begin = [node('Sub', ['data', 'mid'], ['s'], name='_minus0'), node('Mul', ['s', 'inv'], ['x'], name='_mul0')] if scaled else []
    first = 'data' if scaled else 'x'
    nodes = [*begin, node('AveragePool', ['x'], ['p'], kernel_shape=[cell] * 2, strides=[cell] * 2), node('Flatten', ['p'], ['f']),
             node('MatMul', ['f', 'w'], ['fc1'])]
    more = dict(mid=np.float32([127.5]), inv=np.float32([1 / 128])) if scaled else {}
    return save(path, {first: ['None', 3, side, side]}, {'fc1': ['None', n]}, nodes, {**more, 'w': w})

def detector(path:Path, seed:int=0)->Path:
    "Nine outputs at strides of 8, 16 and 32; sure of about one anchor in forty"
    rng, nodes, initial, outputs = np.random.default_rng(seed), [], {}, {}
    for kind, width in ('score', 1), ('box', 4), ('kps', 10):
        for s in 8, 16, 32:
            name, n = f'{kind}{s}', 2 * width
            initial[f'w{name}'] = rng.normal(0, 3, (n, 3, 1, 1)).astype(np.float32)
            initial[f'b{name}'] = np.full(n, {'score': -3, 'box': 3, 'kps': 0}[kind], np.float32)
            initial[f's{name}'] = np.array([-1, width], np.int64)
            nodes += [node('AveragePool', ['input.1'], [f'p{name}'], kernel_shape=[s] * 2, strides=[s] * 2),
                      node('Conv', [f'p{name}', f'w{name}', f'b{name}'], [f'c{name}']),
                      node('Transpose', [f'c{name}'], [f't{name}'], perm=[0, 2, 3, 1]),
                      node('Reshape', [f't{name}', f's{name}'], [f'r{name}']),
                      node({'score': 'Sigmoid', 'box': 'Abs', 'kps': 'Identity'}[kind], [f'r{name}'], [name])]
            outputs[name] = ['n', width]
    order = [f'{k}{s}' for k in ('score', 'box', 'kps') for s in (8, 16, 32)]
    return save(path, {'input.1': [1, 3, 'h', 'w']}, {k: outputs[k] for k in order}, nodes, initial)

def swapper(path:Path, seed:int=0, size:int=128)->Path:
    "A convolution of the picture, tinted by the identity; the last initialiser is the map of identities, which the graph does not use"
    rng = np.random.default_rng(seed)
    initial = dict(w=rng.normal(0, .5, (3, 3, 5, 5)).astype(np.float32), t=rng.normal(0, 2, (512, 3)).astype(np.float32),
                   shape=np.array([1, 3, 1, 1], np.int64), two=np.float32([2]),
                   buff2fs=(np.eye(512) + rng.normal(0, .03, (512, 512))).astype(np.float32))
    nodes = [node('Conv', ['target', 'w'], ['c'], pads=[2] * 4), node('MatMul', ['source', 't'], ['m']),
             node('Reshape', ['m', 'shape'], ['r']), node('Add', ['c', 'r'], ['a']), node('Mul', ['a', 'two'], ['d']), node('Sigmoid', ['d'], ['output'])]
    return save(path, dict(target=[1, 3, size, size], source=[1, 512]), dict(output=[1, 3, size, size]), nodes, initial)

def buffalo(folder:Path)->Path:
    "A folder with the five files of buffalo_l"
    folder.mkdir(exist_ok=True)
    detector(folder/'det_10g.onnx')
    pooled(folder/'2d106det.onnx', 192, 48, 212, 1, scaled=True)
    pooled(folder/'1k3d68.onnx', 192, 48, 3309, 2)
    pooled(folder/'genderage.onnx', 96, 24, 3, 3, scaled=True)
    pooled(folder/'w600k_r50.onnx', 112, 16, 512, 4)
    return folder
