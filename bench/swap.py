"What a swap costs beside its network: alignment, colours and paste of one face, with a network that does nothing, in one run with reading the face's landmarks"
import time
import cv2, numpy as np
from skimage import data
from lipsync_kit.core import Frame
from lipsync_kit.effects.colour import WAYS
from lipsync_kit.effects.swap import crop_map, crop_values
from lipsync_kit.effects.swapper import swapped
from lipsync_kit.faces.detect import landmarks, landmarks_near

def per_call(f, n=15):
    "Median milliseconds of processor time"
    took = []
    for _ in range(n): t = time.process_time(); f(); took.append(1000 * (time.process_time() - t))
    return np.median(took)

def main():
    for title, k in ('eyes 42 pixels apart', 1), ('eyes 126 pixels apart', 3):
        photo = cv2.resize(data.astronaut(), None, fx=k, fy=k, interpolation=cv2.INTER_CUBIC)
        face = landmarks(photo)
        frame, values = Frame(photo, 0), crop_values(face)
        base = per_call(lambda: landmarks_near(photo, face.points, side=256))
        print(f'{title}: landmarks {base:.1f} ms')
        for pixels in 128, 256:
            costs = [per_call(lambda: swapped(frame, face.points, crop_map(values, pixels), pixels, lambda c, i: c.astype(np.float32), None, colour=w)) for w in WAYS]
            print(f'   drawn at {pixels}: ' + ', '.join(f'{w} {c:.1f} ms ({c / base:.2f} times)' for w, c in zip(WAYS, costs)))

if __name__ == '__main__': main()
