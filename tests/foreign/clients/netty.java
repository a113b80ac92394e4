// Netty as the client, in every version that it speaks: V00 (draft76), V07, V08, V13.

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.websocketx.*;
import io.netty.handler.codec.http.websocketx.extensions.WebSocketClientExtensionHandler;
import io.netty.handler.codec.http.websocketx.extensions.compression.PerMessageDeflateClientExtensionHandshaker;
import io.netty.handler.codec.http.websocketx.extensions.compression.WebSocketClientCompressionHandler;
import io.netty.util.CharsetUtil;
import io.netty.util.Version;
import java.net.URI;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public final class Client {
    static final int LIMIT = 4 << 20; // --max-message of the server
    static final int[] SIZES = {0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576};
    static final int READ = 65_536; // what Netty reads at a time
    static final int[] SMALL = {0, 1, 125, 126, 127, 2000};
    static final List<WebSocketVersion> VERSIONS =
            List.of(WebSocketVersion.V00, WebSocketVersion.V07, WebSocketVersion.V08, WebSocketVersion.V13);
    static final long SECONDS = 5; // for every step of a case
    static final String ECHO = System.getenv("ECHO");
    static final String LIMITED = System.getenv("LIMITED");

    static EventLoopGroup group;
    static int cases;

    /** A connection whose frames can be awaited one by one. */
    static final class Socket extends SimpleChannelInboundHandler<Object> {
        final WebSocketClientHandshaker handshaker;
        final BlockingQueue<WebSocketFrame> arrived = new LinkedBlockingQueue<>();
        final CompletableFuture<Void> opened = new CompletableFuture<>();
        final CompletableFuture<Void> ended = new CompletableFuture<>();
        FullHttpResponse answer;
        Channel channel;

        final ChannelHandler compression; // null for none

        Socket(String host, WebSocketVersion version, String protocols, boolean masks,
                ChannelHandler compression) {
            this.compression = compression;
            handshaker = WebSocketClientHandshakerFactory.newHandshaker(URI.create("ws://" + host + "/"), version,
                    protocols, compression != null, new DefaultHttpHeaders(), 2 * LIMIT, masks, false);
        }

        @Override
        public void channelActive(ChannelHandlerContext context) {
            handshaker.handshake(context.channel());
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, Object message) {
            if (message instanceof WebSocketFrame frame) {
                arrived.add(frame.retain());
                return;
            }
            answer = ((FullHttpResponse) message).retain();
            try {
                handshaker.finishHandshake(context.channel(), answer);
                opened.complete(null);
            } catch (WebSocketHandshakeException error) {
                opened.completeExceptionally(error);
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            opened.completeExceptionally(new IllegalStateException("the server ended the stream"));
            ended.complete(null);
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable error) {
            opened.completeExceptionally(error);
            ended.completeExceptionally(error);
            context.close();
        }

        void send(WebSocketFrame frame) {
            channel.writeAndFlush(frame);
        }

        <F extends WebSocketFrame> F next(Class<F> kind) throws Exception {
            WebSocketFrame frame = arrived.poll(SECONDS, TimeUnit.SECONDS);
            check(frame != null, "nothing came");
            check(kind.isInstance(frame), frame + " came");
            return kind.cast(frame);
        }

        void text(String text) throws Exception {
            send(new TextWebSocketFrame(text));
            check(next(TextWebSocketFrame.class).text().equals(text), "another text came back");
        }

        void closed(int code) throws Exception {
            int came = next(CloseWebSocketFrame.class).statusCode();
            check(came == code, came + " came");
            ended.get(SECONDS, TimeUnit.SECONDS);
        }
    }

    static void connect(Socket socket, String host) throws Exception {
        var bootstrap = new Bootstrap().group(group).channel(NioSocketChannel.class)
                .option(ChannelOption.RCVBUF_ALLOCATOR, new FixedRecvByteBufAllocator(READ))
                .handler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        channel.pipeline().addLast(new HttpClientCodec(), new HttpObjectAggregator(65_536));
                        if (socket.compression != null) {
                            channel.pipeline().addLast(socket.compression);
                        }
                        channel.pipeline().addLast(new WebSocketFrameAggregator(2 * LIMIT), socket);
                    }
                });
        int colon = host.lastIndexOf(':');
        socket.channel = bootstrap.connect(host.substring(0, colon), Integer.parseInt(host.substring(colon + 1)))
                .sync().channel();
    }

    static Socket open(WebSocketVersion version, String protocols, boolean masks) throws Exception {
        Socket socket = new Socket(ECHO, version, protocols, masks, null);
        connect(socket, ECHO);
        socket.opened.get(SECONDS, TimeUnit.SECONDS);
        return socket;
    }

    static Socket open(WebSocketVersion version) throws Exception {
        return open(version, null, true);
    }

    interface Body {
        void run() throws Exception;
    }

    static void check(boolean right, String otherwise) {
        if (!right) {
            throw new IllegalStateException(otherwise);
        }
    }

    static String outcome(Body body) {
        cases += 1;
        try {
            body.run();
            return null;
        } catch (Exception error) {
            return error.toString().replace('\n', ' ');
        }
    }

    static void test(String name, Body body) {
        String why = outcome(body);
        System.out.println(why == null ? "ok " + name : "not ok " + name + ": " + why);
    }

    /** A check that a fault of Netty makes fail. */
    static void deviates(String name, String fault, Body body) {
        String why = outcome(body);
        System.out.println(why == null ? "not ok " + name + ": it is listed as a deviation, and passes"
                : "deviates " + name + ": " + why + "; " + fault);
    }

    /** What every version can do. */
    static void texts(WebSocketVersion version) throws Exception {
        for (int size : version == WebSocketVersion.V00 ? SMALL : SIZES) {
            test(version + " text of " + size + " bytes", () -> open(version).text("t".repeat(size)));
        }
        test(version + " text with characters of one to four bytes", () -> open(version).text("a é 世 👋 \0 \uDBFF\uDFFF"));
        test(version + " the server closes", () -> {
            Socket socket = open(version);
            socket.send(new TextWebSocketFrame("close, please"));
            CloseWebSocketFrame close = socket.next(CloseWebSocketFrame.class);
            check(version == WebSocketVersion.V00 || close.statusCode() == 1000, close.statusCode() + " came");
            socket.send(close.retain());
            socket.ended.get(SECONDS, TimeUnit.SECONDS);
        });
        test(version + " subprotocol", () -> {
            // One string and no list in draft76.
            String asked = version == WebSocketVersion.V00 ? "chat" : "chat, superchat";
            String agreed = open(version, asked, true).handshaker.actualSubprotocol();
            check(agreed.equals(version == WebSocketVersion.V00 ? "chat" : "superchat"), agreed + " was agreed on");
        });
    }

    /** draft76 alone. */
    static void sentinels() throws Exception {
        var version = WebSocketVersion.V00;
        test(version + " the client closes", () -> {
            Socket socket = open(version);
            socket.send(new CloseWebSocketFrame());
            socket.next(CloseWebSocketFrame.class);
            socket.ended.get(SECONDS, TimeUnit.SECONDS);
        });
        test(version + " 1000 messages, one after the other", () -> {
            Socket socket = open(version);
            for (int at = 0; at < 1000; at++) {
                socket.text("message " + at);
            }
        });
        // WebSocket00FrameDecoder reads the type again from what comes next.
        deviates(version + " text of 65536 bytes", "a frame that comes in pieces loses its first byte", () ->
                open(version).text("t".repeat(READ)));
        test(version + " a binary frame is skipped", () -> {
            Socket socket = open(version);
            socket.send(new BinaryWebSocketFrame(Unpooled.wrappedBuffer(new byte[300])));
            socket.text("behind it");
        });
    }

    /** V07, V08, V13. */
    static void frames(WebSocketVersion version) throws Exception {
        Socket socket = open(version);
        test(version + " 1000 messages without waiting, in order", () -> {
            for (int at = 0; at < 1000; at++) {
                socket.send(new TextWebSocketFrame("message " + at));
            }
            for (int at = 0; at < 1000; at++) {
                check(socket.next(TextWebSocketFrame.class).text().equals("message " + at), "out of order at " + at);
            }
        });
        for (int size : SIZES) {
            test(version + " binary of " + size + " bytes", () -> {
                byte[] bytes = new byte[size];
                new Random(size).nextBytes(bytes);
                socket.send(new BinaryWebSocketFrame(Unpooled.wrappedBuffer(bytes)));
                byte[] back = new byte[size];
                var content = socket.next(BinaryWebSocketFrame.class).content();
                check(content.readableBytes() == size, content.readableBytes() + " bytes came back");
                content.readBytes(back);
                check(Arrays.equals(back, bytes), "other bytes came back");
            });
        }
        test(version + " ping", () -> {
            socket.send(new PingWebSocketFrame(Unpooled.copiedBuffer("are you there?", CharsetUtil.UTF_8)));
            check(socket.next(PongWebSocketFrame.class).content().toString(CharsetUtil.UTF_8).equals("are you there?"),
                    "another pong came");
        });
        test(version + " fragments cut inside a character, a ping between them", () -> {
            byte[] bytes = "one 👋 message".getBytes(CharsetUtil.UTF_8);
            socket.send(new TextWebSocketFrame(false, 0, Unpooled.wrappedBuffer(bytes, 0, 6)));
            socket.send(new PingWebSocketFrame(Unpooled.copiedBuffer("between", CharsetUtil.UTF_8)));
            socket.send(new ContinuationWebSocketFrame(false, 0, Unpooled.EMPTY_BUFFER));
            socket.send(new ContinuationWebSocketFrame(true, 0, Unpooled.wrappedBuffer(bytes, 6, bytes.length - 6)));
            socket.next(PongWebSocketFrame.class);
            check(socket.next(TextWebSocketFrame.class).text().equals("one 👋 message"), "another text came back");
        });
        test(version + " the client closes with a code", () -> {
            socket.send(new CloseWebSocketFrame(4001, "bye"));
            socket.closed(4001);
        });
        test(version + " a message over the limit gets 1009", () -> {
            Socket large = open(version);
            large.send(new BinaryWebSocketFrame(Unpooled.wrappedBuffer(new byte[LIMIT + 1])));
            large.closed(1009);
        });
        test(version + " text that is not UTF-8 gets 1007", () -> {
            Socket bad = open(version);
            bad.send(new TextWebSocketFrame(Unpooled.wrappedBuffer(new byte[] {'a', (byte) 0xFF})));
            bad.closed(1007);
        });
        test(version + " a frame without a mask gets 1002", () -> {
            Socket bare = open(version, null, false);
            bare.send(new TextWebSocketFrame("bare"));
            bare.closed(1002);
        });
    }

    /** Messages that shrink and such that do not, each beside the other. */
    static void compressed(String host, ChannelHandler compression) throws Exception {
        Socket socket = new Socket(host, WebSocketVersion.V13, null, true, compression);
        connect(socket, host);
        socket.opened.get(SECONDS, TimeUnit.SECONDS);
        String agreed = socket.answer.headers().get("Sec-WebSocket-Extensions", "nothing");
        check(agreed.startsWith("permessage-deflate"), agreed + " was agreed on");
        for (int round = 0; round < 3; round++) {
            for (int size : SIZES) {
                socket.text("t".repeat(size));
                byte[] bytes = new byte[size];
                new Random(size).nextBytes(bytes);
                socket.send(new BinaryWebSocketFrame(Unpooled.wrappedBuffer(bytes)));
                var content = socket.next(BinaryWebSocketFrame.class).content();
                check(content.equals(Unpooled.wrappedBuffer(bytes)), "other bytes came back");
            }
        }
    }

    static void compression() {
        String without = System.getenv("DEFLATE");
        var takes = new PerMessageDeflateClientExtensionHandshaker(6, false, 15, true, true);
        var readyMade = WebSocketClientCompressionHandler.INSTANCE;
        test("V13 compression with contexts", () -> compressed(System.getenv("TAKEOVER"), readyMade));
        test("V13 compression without", () -> compressed(without, new WebSocketClientExtensionHandler(takes)));
        deviates("V13 compression without, ready-made", "it has to take client_no_context_takeover unasked", () ->
                compressed(without, readyMade));
    }

    static void refusals(WebSocketVersion version) {
        // There, only V13 is spoken, and only with pages of a friend.
        int status = version == WebSocketVersion.V13 ? 403 : 426;
        test(version + " is refused with " + status, () -> {
            Socket socket = new Socket(LIMITED, version, null, true, null);
            connect(socket, LIMITED);
            socket.ended.get(SECONDS, TimeUnit.SECONDS);
            check(socket.answer != null, "no answer came");
            check(socket.answer.status().code() == status, socket.answer.status() + " came");
            String versions = socket.answer.headers().get("Sec-WebSocket-Version");
            check(status != 426 || "13".equals(versions), versions + " is offered");
        });
    }

    public static void main(String[] arguments) throws Exception {
        group = new NioEventLoopGroup(1);
        System.out.println("library Netty " + Version.identify().get("netty-codec-http").artifactVersion());
        for (WebSocketVersion version : VERSIONS) {
            texts(version);
            if (version == WebSocketVersion.V00) {
                sentinels();
            } else {
                frames(version);
            }
            refusals(version);
        }
        compression();
        System.out.println("done " + cases);
        System.exit(0);
    }
}
