import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executors;

/**
 * An API server with nothing in it: every list is empty, every watch waits for ever, and what is
 * created comes back as it is. Programs that talk to Kubernetes are started against it when their
 * image is made, to record which classes they load. {@code KubernetesStub PORT KUBECONFIG [FOLDER]}
 * writes the kubeconfig and serves until it is killed. An object in FOLDER/PLURAL.json is the one of
 * its kind that is there; without a folder there is any object that is asked for by its name.
 */
public class KubernetesStub {
    private static Path folder = Path.of("/nonexistent");
    private static boolean closed;

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(args[0]);
        if (args.length > 2) {
            folder = Path.of(args[2]);
            closed = true;
        }
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", KubernetesStub::answer);
        server.start();
        Files.writeString(
                Path.of(args[1]),
                String.join(
                        "\n",
                        "apiVersion: v1",
                        "kind: Config",
                        "clusters: [{name: stub, cluster: {server: \"http://127.0.0.1:" + port + "\"}}]",
                        "users: [{name: stub, user: {token: stub}}]",
                        "contexts: [{name: stub, context: {cluster: stub, user: stub, namespace: default}}]",
                        "current-context: stub",
                        ""));
    }

    private static void answer(HttpExchange exchange) throws IOException {
        String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        String path = exchange.getRequestURI().getPath();
        String query = String.valueOf(exchange.getRequestURI().getRawQuery());
        exchange.getResponseHeaders().add("Content-Type", "application/json");
        if ("websocket".equalsIgnoreCase(exchange.getRequestHeaders().getFirst("Upgrade"))) {
            // no web sockets: the clients then watch in the plain way
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
            return;
        }
        if (query.contains("watch=true")) {
            exchange.sendResponseHeaders(200, 0);
            // the head of the answer is sent only with some of its body
            String[] parts = path.split("/");
            String version = parts[1].equals("api") ? "v1" : parts[2] + "/" + parts[3];
            String event = "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"" + kind(parts[parts.length - 1])
                    + "\",\"apiVersion\":\"" + version + "\",\"metadata\":{\"resourceVersion\":\"1\"}}}\n";
            exchange.getResponseBody().write(event.getBytes(StandardCharsets.UTF_8));
            exchange.getResponseBody().flush();
            try {
                Thread.sleep(3_600_000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return;
        }
        String reply = body.isEmpty() ? stored(path) : body;
        if (exchange.getRequestMethod().equals("PATCH") || exchange.getRequestMethod().equals("DELETE")) {
            // a patch is no object: what is there is
            reply = stored(path);
        }
        int code = 200;
        if (reply.isEmpty()) {
            code = 404;
            reply = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"NotFound\",\"code\":404}";
        }
        byte[] bytes = reply.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(code, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    /** What a GET of the path gives: a list, or one object that has no more than a name. */
    private static String stored(String path) throws IOException {
        if (path.startsWith("/version")) {
            return "{\"major\":\"1\",\"minor\":\"34\",\"gitVersion\":\"v1.34.4\",\"gitCommit\":\"0\",\"gitTreeState\":\"clean\","
                    + "\"buildDate\":\"2026-01-01T00:00:00Z\",\"goVersion\":\"go\",\"compiler\":\"gc\",\"platform\":\"linux\"}";
        }
        if (!path.startsWith("/api")) {
            return "{}";
        }
        List<String> parts = Arrays.asList(path.substring(1).split("/"));
        int at = parts.get(0).equals("api") ? 2 : 3;
        if (parts.size() <= at) {
            return "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"" + parts.get(parts.size() - 1) + "\",\"resources\":[]}";
        }
        String version = parts.get(0).equals("api") ? "v1" : parts.get(1) + "/" + parts.get(2);
        String namespace = "default";
        if (parts.size() > at + 2 && parts.get(at).equals("namespaces")) {
            namespace = parts.get(at + 1);
            at += 2;
        }
        String kind = kind(parts.get(at));
        Path file = folder.resolve(parts.get(at) + ".json");
        String object = Files.exists(file) ? Files.readString(file) : "";
        if (parts.size() == at + 1) {
            return "{\"kind\":\"" + kind + "List\",\"apiVersion\":\"" + version
                    + "\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[" + object + "]}";
        }
        if (!object.isEmpty() || closed) {
            return object;
        }
        return "{\"kind\":\"" + kind + "\",\"apiVersion\":\"" + version + "\",\"metadata\":{\"name\":\""
                + parts.get(at + 1) + "\",\"namespace\":\"" + namespace
                + "\",\"uid\":\"00000000-0000-0000-0000-000000000001\",\"resourceVersion\":\"1\"}}";
    }

    private static String kind(String plural) {
        return switch (plural) {
            case "pods" -> "Pod";
            case "services" -> "Service";
            case "configmaps" -> "ConfigMap";
            case "secrets" -> "Secret";
            case "nodes" -> "Node";
            case "namespaces" -> "Namespace";
            case "events" -> "Event";
            case "deployments" -> "Deployment";
            case "ingresses" -> "Ingress";
            case "leases" -> "Lease";
            case "customresourcedefinitions" -> "CustomResourceDefinition";
            case "flinkdeployments" -> "FlinkDeployment";
            case "flinksessionjobs" -> "FlinkSessionJob";
            case "flinkstatesnapshots" -> "FlinkStateSnapshot";
            case "flinkbluegreendeployments" -> "FlinkBlueGreenDeployment";
            default -> "Object";
        };
    }
}
