"""The LLM engine: the model library, and the embedded server that speaks TGI's protocol.

`library.py` fetches and finds models; `server.py` is the process behind `llmasos engine`;
`launch.py` starts one as a child. Nothing outside imports xllamacpp or torch.
"""
