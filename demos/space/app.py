"The app of lipsync_kit as a Space. Made by `make space`."
import os
from lipsync_kit.app import serve

if __name__ == '__main__': serve(host='0.0.0.0', port=int(os.environ.get('GRADIO_SERVER_PORT', 7860)))
