import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Runs a class of Flink's own class path as a job, as the Flink operator does for a session job without a jar, and
 * waits until it runs: {@code FlinkJob ADDRESS CLASS [argument...]}.
 */
public class FlinkJob {
    private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    public static void main(String[] args) throws Exception {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.writeBytes(("--part\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"empty.jar\"\r\n"
                        + "Content-Type: application/java-archive\r\n\r\n")
                .getBytes(StandardCharsets.UTF_8));
        ByteArrayOutputStream jar = new ByteArrayOutputStream();
        Manifest manifest = new Manifest();
        manifest.getMainAttributes().putValue("Manifest-Version", "1.0");
        new JarOutputStream(jar, manifest).close();
        body.writeBytes(jar.toByteArray());
        body.writeBytes("\r\n--part--\r\n".getBytes(StandardCharsets.UTF_8));
        String uploaded = send(HttpRequest.newBuilder(URI.create(args[0] + "/jars/upload"))
                .header("Content-Type", "multipart/form-data; boundary=part")
                .POST(HttpRequest.BodyPublishers.ofByteArray(body.toByteArray())));
        String id = find("/([^/\"]+\\.jar)\"", uploaded);
        String arguments = Arrays.stream(args).skip(2).map(each -> "\"" + each + "\"").collect(Collectors.joining(","));
        String started = send(HttpRequest.newBuilder(URI.create(args[0] + "/jars/" + id + "/run"))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(
                        "{\"entryClass\":\"" + args[1] + "\",\"programArgsList\":[" + arguments + "]}")));
        String job = find("\"jobid\":\"([0-9a-f]+)\"", started);
        for (int i = 0; i < 600; i++) {
            String state = send(HttpRequest.newBuilder(URI.create(args[0] + "/jobs/" + job)));
            String vertices = state.substring(state.indexOf("\"vertices\""));
            if (vertices.contains("\"status\":\"RUNNING\"")) {
                System.out.println("job " + job + " runs");
                return;
            }
            Thread.sleep(100);
        }
        throw new IllegalStateException("job " + job + " does not run");
    }

    private static String find(String pattern, String text) {
        Matcher matcher = Pattern.compile(pattern).matcher(text);
        if (!matcher.find()) {
            throw new IllegalStateException(text);
        }
        return matcher.group(1);
    }

    private static String send(HttpRequest.Builder request) throws Exception {
        return CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString()).body();
    }
}
