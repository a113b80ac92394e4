// Netty as the server, in every version that it speaks: draft75, V00 (draft76), V07, V08, V13.

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.ChannelPromise;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.ByteToMessageDecoder;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.websocketx.*;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketServerExtensionHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.PerMessageDeflateServerExtensionHandshaker;
import io.netty.util.CharsetUtil;
import io.netty.util.Version;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

public final class Server {
    static final int LIMIT = 4 << 20;
    static String lastClose = "";

    /** What the server wants of compression, at a port of its own each. */
    record Wants(String name, int clientWindow) {}

    static final List<Wants> VARIANTS = List.of(
            new Wants("deflate:client_max_window_bits=10", 10));

    /**
     * Hands on whole frames of draft75 and draft76. Netty's decoder reads the type of a text frame
     * again whenever more of it comes, and so loses a byte.
     */
    static final class WholeFrames extends ByteToMessageDecoder {
        private int searched;

        @Override
        protected void decode(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
            int start = in.readerIndex();
            if (in.getByte(start) == (byte) 0xFF) {
                if (in.readableBytes() >= 2) {
                    out.add(in.readRetainedSlice(2));
                }
                return;
            }
            int end = in.indexOf(start + searched, in.writerIndex(), (byte) 0xFF);
            searched = end < 0 ? in.readableBytes() : 0;
            if (end >= 0) {
                out.add(in.readRetainedSlice(end + 1 - start));
            }
        }
    }

    /**
     * Writes the values in the answers to draft75 and draft76 as these drafts have them. Netty
     * writes all of them in lower case; clients of that time compare them with case.
     */
    static final class CaseOfDrafts extends ChannelOutboundHandlerAdapter {
        @Override
        public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
            String head = ((ByteBuf) message).toString(CharsetUtil.ISO_8859_1);
            head = head.replaceFirst("(?i)upgrade: websocket", "Upgrade: WebSocket")
                    .replaceFirst("(?i)connection: upgrade", "Connection: Upgrade")
                    .replaceFirst("(?i)\r\nwebsocket-origin", "\r\nWebSocket-Origin");
            context.write(Unpooled.copiedBuffer(head, CharsetUtil.ISO_8859_1), promise);
            ((ByteBuf) message).release();
        }
    }

    static final class Peer extends SimpleChannelInboundHandler<Object> {
        private final List<String> pings = new ArrayList<>();
        private WebSocketServerHandshaker handshaker;
        private HttpHeaders headers;
        private boolean closing;

        @Override
        protected void channelRead0(ChannelHandlerContext context, Object message) {
            if (message instanceof FullHttpRequest request) {
                open(context, request);
            } else if (message instanceof TextWebSocketFrame text) {
                answer(context.channel(), text.text());
            } else if (message instanceof BinaryWebSocketFrame binary) {
                context.writeAndFlush(binary.retain());
            } else if (message instanceof PingWebSocketFrame ping) {
                pings.add(ping.content().toString(CharsetUtil.UTF_8));
                context.writeAndFlush(new PongWebSocketFrame(ping.content().retain()));
            } else if (message instanceof PongWebSocketFrame pong) {
                say(context.channel(), "pong " + pong.content().toString(CharsetUtil.UTF_8));
            } else if (message instanceof CloseWebSocketFrame close) {
                lastClose = "closed " + close.statusCode() + " " + close.reasonText();
                if (closing) {
                    context.close();
                } else {
                    handshaker.close(context.channel(), close.retain());
                }
            }
        }

        private void open(ChannelHandlerContext context, FullHttpRequest request) {
            headers = request.headers().copy();
            String origin = headers.get("Sec-WebSocket-Origin", headers.get("Origin"));
            if ("http://evil.example".equals(origin)) {
                var refusal = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.FORBIDDEN);
                context.writeAndFlush(refusal).addListener(ChannelFutureListener.CLOSE);
                return;
            }
            String url = "ws://" + headers.get("Host") + request.uri();
            var factory = new WebSocketServerHandshakerFactory(url, "chat", true, LIMIT);
            handshaker = factory.newHandshaker(request);
            if (handshaker == null) {
                WebSocketServerHandshakerFactory.sendUnsupportedVersionResponse(context.channel())
                        .addListener(ChannelFutureListener.CLOSE);
                return;
            }
            boolean old = handshaker.version() == WebSocketVersion.V00;
            var fix = new CaseOfDrafts();
            if (old) {
                context.pipeline().addFirst(fix);
            }
            handshaker.handshake(context.channel(), request);
            if (old) {
                context.pipeline().remove(fix);
                context.pipeline().addFirst(new WholeFrames());
            }
        }

        private void answer(Channel channel, String text) {
            String[] words = text.split(" ", 2);
            String rest = words.length > 1 ? words[1] : "";
            switch (words[0]) {
                case "!close" -> close(channel, rest);
                case "!fragments" -> fragments(channel, rest.equals("binary"));
                case "!header" -> say(channel, "header " + headers.get(rest, ""));
                case "!last-close" -> say(channel, lastClose);
                case "!ping" -> channel.writeAndFlush(new PingWebSocketFrame(Unpooled.copiedBuffer(rest, CharsetUtil.UTF_8)));
                case "!pings" -> say(channel, "pings " + pings.stream().collect(Collectors.joining(",")));
                default -> say(channel, text);
            }
        }

        private static void say(Channel channel, String text) {
            channel.writeAndFlush(new TextWebSocketFrame(text));
        }

        private void close(Channel channel, String rest) {
            closing = true;
            String[] words = rest.split(" ", 2);
            var close = rest.isEmpty() ? new CloseWebSocketFrame()
                    : new CloseWebSocketFrame(Integer.parseInt(words[0]), words.length > 1 ? words[1] : "");
            var sent = channel.writeAndFlush(close);
            if (handshaker.version() == WebSocketVersion.V00 && !headers.contains("Sec-WebSocket-Key1")) {
                sent.addListener(ChannelFutureListener.CLOSE); // draft75 has no answer to it
            }
        }

        private static void fragments(Channel channel, boolean binary) {
            ByteBuf bytes = Unpooled.copiedBuffer("one 世界 text", CharsetUtil.UTF_8);
            ByteBuf first = bytes.readRetainedSlice(5);
            channel.write(binary ? new BinaryWebSocketFrame(false, 0, first) : new TextWebSocketFrame(false, 0, first));
            channel.write(new ContinuationWebSocketFrame(false, 0, bytes.readRetainedSlice(4)));
            channel.writeAndFlush(new ContinuationWebSocketFrame(true, 0, bytes));
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable error) {
            System.err.println(error);
            context.close();
        }
    }

    /** Listens on a free port, and answers which. */
    static int listen(NioEventLoopGroup group, Wants wants) throws Exception {
        var bootstrap = new ServerBootstrap().group(group).channel(NioServerSocketChannel.class)
                .childHandler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        ChannelPipeline pipeline = channel.pipeline();
                        pipeline.addLast(new HttpServerCodec(), new HttpObjectAggregator(65_536));
                        pipeline.addLast(new WebSocketServerExtensionHandler(
                                new PerMessageDeflateServerExtensionHandshaker(6, true, wants.clientWindow(), true, false)));
                        pipeline.addLast(new WebSocketFrameAggregator(LIMIT), new Peer());
                    }
                });
        return ((InetSocketAddress) bootstrap.bind("127.0.0.1", 0).sync().channel().localAddress()).getPort();
    }

    public static void main(String[] arguments) throws Exception {
        var group = new NioEventLoopGroup(1);
        System.out.println("library Netty " + Version.identify().get("netty-codec-http").artifactVersion());
        System.out.println("speaks draft75,draft76,hybi-07,hybi-08,rfc6455");
        // Its compressor gives what does not shrink 0.1 % more room. With small windows that is too
        // little, and the end of the message is missing.
        System.out.println("deviates rfc6455, compression with server_max_window_bits=10");
        System.out.println("deviates rfc6455, compression with everything limited");
        for (Wants wants : VARIANTS) {
            System.out.println("variant " + wants.name() + " ws://127.0.0.1:" + listen(group, wants) + "/");
        }
        System.out.println("listening on 127.0.0.1:" + listen(group, new Wants("", 15)));
    }
}
